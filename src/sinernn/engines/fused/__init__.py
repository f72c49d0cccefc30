"""The fused engine: complete training updates in compiled loops on one core, without torch."""
