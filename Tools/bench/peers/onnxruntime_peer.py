"""Measures inference with ONNX Runtime on CPUs: fp32, a model of fixed batch."""

import measurement
import numpy
import onnxruntime


def main():
    rows = [row for row in measurement.ROWS if row.startswith("inference")]
    parser = measurement.parser(__doc__, rows, precisions=("fp32",))
    parser.add_argument("--model", required=True, help="of export_onnx.py, for the same row")
    options = parser.parse_args()

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(options.model, settings, providers=["CPUExecutionProvider"])
    model_input = session.get_inputs()[0]
    images = numpy.random.default_rng(1).standard_normal(model_input.shape, dtype=numpy.float32)
    call = lambda: session.run(None, {model_input.name: images})
    measurement.report(call, options, {"onnxruntime": onnxruntime.__version__})


if __name__ == "__main__":
    main()
