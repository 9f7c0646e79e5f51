"""What is true of both LTX families: latent layout, schedules, text encoders, which model a file holds."""
