"""What CUDA computes is what the CPU computes: `make test-gpu`, where there is CUDA."""
