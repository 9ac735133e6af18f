"""Signals published once a day ahead, one message down and none back."""
