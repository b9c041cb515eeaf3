"""Before shooting: can this rig be trusted? After it: can this take?"""
