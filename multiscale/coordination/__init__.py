"""How platforms, DSOs and the TSO agree in operation: mechanisms, messages, and the engine that carries the work."""
