"""The demo: photographs with labels drawn by hand, and a scripted labeling partner."""
