"""Archives of unknown origin: gzip, tar and zip, each read strictly and in bounded memory."""
