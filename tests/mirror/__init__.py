"""Tests of the way into object stores."""
