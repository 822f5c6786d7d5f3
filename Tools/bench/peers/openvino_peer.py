"""Measures inference with OpenVINO on CPUs: fp32 or bf16 (its default where there is such), fixed batch."""

import measurement
import numpy
import openvino


def main():
    parser = measurement.parser(__doc__, rows=[row for row in measurement.ROWS if row.startswith("inference")])
    parser.add_argument("--model", required=True, help="of export_onnx.py, for the same row")
    options = parser.parse_args()

    core = openvino.Core()
    precision = {"fp32": openvino.Type.f32, "bf16": openvino.Type.bf16}[options.precision]
    settings = {
        "INFERENCE_NUM_THREADS": options.threads, "INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY",
    }
    model = core.compile_model(core.read_model(options.model), "CPU", settings)
    # Only a hint: without instructions for bf16 it computes in fp32 and says nothing.
    if model.get_property("INFERENCE_PRECISION_HINT") != precision:
        raise SystemExit(f"OpenVINO does not compute in {options.precision} on this processor")
    images = numpy.random.default_rng(1).standard_normal(list(model.input(0).shape), dtype=numpy.float32)
    request = model.create_infer_request()
    call = lambda: request.infer({0: images}, share_inputs=True)
    measurement.report(call, options, {"openvino": openvino.__version__})


if __name__ == "__main__":
    main()
