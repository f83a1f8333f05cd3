"""The `guarded` preset of trend-health: what the origin learned, grown to what the measurements support.

`signs` looks at the means of every window. Where a run is evaluated, `policy` judges its evaluations: what diverged
goes back; what overfits goes back, and then stops; what stands still or crawls is tried with another learning rate;
what no learning rate can mend is named. Every threshold is relative to the run's own past.
"""
