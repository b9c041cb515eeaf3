"""exlcap: real low-light / well-lit image pairs of people, from the shutter to a trained pose network.

The core: the nouns every stage shares and the command line. A stage is a folder at the top of the repository,
imported as ``exlcap.<folder>``.
"""

__version__ = "0.1.0"
