"""What a trained network gives: tables, pictures, predictions, ONNX."""
