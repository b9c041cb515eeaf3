"""Pose networks that label: described by cards, run by ONNX Runtime."""
