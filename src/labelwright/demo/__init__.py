"""The demo: photographs with labels drawn by hand, and a script that labels them."""
