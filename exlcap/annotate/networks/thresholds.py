"""Every threshold of the automatic labels. Scores are 0..1 after a card's `full_score`."""

BOX_SCORE = 0.3
"""Boxes with a lower score are not people."""
JOINT_SCORE = 0.2
"""Joints below this are not labelled: v = 0."""
SURE_SCORE = 0.45
"""Joints below this are labelled as uncertain: v = 1."""
SURE_LIKENESS = 0.85
"""Joints on whose place the mirrored picture or the second network agrees less (a term of OKS) are uncertain: v = 1."""
CLOSE_LIKENESS = 0.5
"""Opinions on a place that are this alike are averaged; otherwise the one with the higher score is taken."""
MIN_JOINTS = 4
"""People with fewer labelled joints are left out."""
SAME_PERSON_OKS = 0.7
"""Two people in a frame whose joints are this alike are one person, found twice."""
TRACK_OKS = 0.25
"""From this likeness on (the larger of OKS and IoU), people of successive frames are the same person."""
TRACK_GAP = 5
"""Frames for which a person may be missing without losing their id."""
