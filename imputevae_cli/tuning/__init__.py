"""The search for settings that suit a file best, with Optuna."""
