"""What a study has to show: figures of the search and of its champion."""
