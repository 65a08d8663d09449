"""Every kind of work that a person, a face or a timer can ask for, made of the app's parts."""
