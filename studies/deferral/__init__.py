"""What demand response and trading between peers defer of the reinforcement of four types of network."""
