"""The stages of a study, one file each: every stage has a key of what goes in and an artefact that comes out, which other runs read."""
