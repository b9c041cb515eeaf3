"""`exlcap preview`: both cameras on a page, to frame, focus and expose a scene and to shoot it."""
