"""Transmission and distribution planned together: distribution operators offer how their plans respond to prices."""
