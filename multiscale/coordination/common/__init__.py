"""What all mechanisms share: prepared days, messages, answers, outcomes, forecasts, and a day played forward."""
