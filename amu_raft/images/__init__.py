"""The user's own pictures: folders, lists, class names, checks; what --data reads."""
