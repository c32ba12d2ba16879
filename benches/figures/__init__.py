"""What the benchmarks measured, as tables, pictures and pages of the book. Run it by benches/peers.sh and publish.sh."""
