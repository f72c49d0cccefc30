"""The fused engine: whole training updates in compiled loops on one core, without torch."""
