"""Random small systems under every mechanism: bounds, costs, prices, energy and money against an independent solution of the whole."""
