"""The main job in five lines: python examples/predict.py [photo]."""

import sys

from cmaen import EmotionPredictor

predictor = EmotionPredictor()
for face in predictor.predict_faces(sys.argv[1] if len(sys.argv) > 1 else "examples/astronaut.png"):
    print(face["predicted_emotion"], f"{face['confidence']:.0%}", face["box"])
