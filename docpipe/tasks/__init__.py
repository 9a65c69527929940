"""One task, one file: what to ask for, how to prepare the image, how to parse, check and score the answer."""

from docpipe.tasks.base import Task, TaskName, get_task, prompt_for, task, task_names

__all__ = ["Task", "TaskName", "get_task", "prompt_for", "task", "task_names"]
