"""What calls to a teacher cost: told by hand, or heard from a client of the `openai` package.

teacher = steersman.Teacher()
client = teacher.wrap(openai.OpenAI())                      # its calls are recorded from here on
with teacher() as call:                                     # or any other call, told by hand
    call.used(ask_somebody_else())
run = steersman.supervise(trainer, "steersman.yaml", teacher=teacher)
"""

from steersman.teacher.call import Call
from steersman.teacher.recorder import Teacher

__all__ = ["Call", "Teacher"]
