"""JSON in, JSON out: structured data for a worker whose items and results are strings."""
# make example RUN="json_in_out.py"

import json

from tep_parallel import Parallel, ParallelWorker

ORDERS = [
    {"id": 1, "lines": [{"price": 3.5, "count": 2}, {"price": 1.0, "count": 5}]},
    {"id": 2, "lines": []},
]


class Total(ParallelWorker):
    def process(self, item: str) -> str:
        order = json.loads(item)
        total = sum(line["price"] * line["count"] for line in order["lines"])
        return json.dumps({"id": order["id"], "total": total})


if __name__ == "__main__":
    results = Parallel(Total()).map_processes(json.dumps(order) for order in ORDERS)
    for result in map(json.loads, results):
        print(f"order {result['id']}: {result['total']}")
