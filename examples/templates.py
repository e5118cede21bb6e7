"""Render templates, each in a child. A bad template fails alone, with its name and its reason."""
# make example RUN="templates.py"

from jinja2 import DictLoader, Environment, StrictUndefined

from tep_parallel import Parallel, ParallelWorker

PAGES = DictLoader(
    {
        "welcome.html": "<h1>Welcome, {{ name }}!</h1>",
        "invoice.html": "<p>{{ name }} owes {{ '%.2f' % amounts|sum }} EUR.</p>",
        "broken.html": "<p>{{ nmae }}</p>",
    }
)


class Render(ParallelWorker):
    def __init__(self, **values: object) -> None:
        self.environment = Environment(loader=PAGES, autoescape=True, undefined=StrictUndefined)
        self.values = values

    def process(self, item: str) -> str:
        return self.environment.get_template(item).render(self.values)


if __name__ == "__main__":
    worker = Render(name="Ada & Co", amounts=[12.5, 30])
    for page in Parallel(worker).outcomes(PAGES.list_templates()):
        print(f"{page.item}: {page.result or repr(page.error)}")
