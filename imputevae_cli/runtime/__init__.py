"""How a long fit is run, without any genetics: resuming, checkpoints, several processes, device, random draws."""
