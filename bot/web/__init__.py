"""The web face: pages for people, a JSON API for programs, numbers for Prometheus."""
