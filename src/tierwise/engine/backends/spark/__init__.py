"""The engine on Spark: the same trees, written in Spark's words, over the same lake."""
