"""Every file of a collection of malformed and hostile pictures gets an answer or a refusal with a code, by every
protocol, over connections that stay open.
"""

import base64
import zipfile

import pytest


@pytest.mark.full
def test_only_answers_and_refusals(run_server, one_view, real_data):
    statuses, codes = [], set()
    with (
        zipfile.ZipFile(real_data / "hostile_images.zip") as archive,
        run_server({"one": one_view}) as client,
    ):
        client.service.warm_up()
        names = [name for name in archive.namelist() if not name.endswith("/")]
        for name in names:
            data = archive.read(name)
            tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [base64.b64encode(data).decode()]}
            answers = [
                client.post("/v1/predict", files={"image": (name, data)}),
                client.post("/v2/models/one/infer", json={"inputs": [tensor]}),
                client.post("/", content=data),
            ]
            assert len({answer.status_code for answer in answers}) == 1, name
            statuses.append(answers[0].status_code)
            codes |= {answer.json().get("code") for answer in answers if answer.status_code != 200}
        num_connections = len(client.server.server_state.connections)
    assert len(statuses) > 700
    assert set(statuses) == {200, 422}
    assert codes == {"bad-picture"}
    assert num_connections <= 2
