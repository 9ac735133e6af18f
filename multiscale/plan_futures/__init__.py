"""Planning under uncertain futures: deciding now against waiting, with a proof."""
