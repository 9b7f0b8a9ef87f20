"""What the trainers share: settings, construction, training, choices, evaluation."""
