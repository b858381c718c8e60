"""Datasets in Azure Machine Learning."""
