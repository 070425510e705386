"""The experiments on learning a single neuron, and what they share."""
