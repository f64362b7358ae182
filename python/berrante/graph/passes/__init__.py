"""From a traced graph to a flat program: lower, fuse, place updates, assign memory."""
