import Platform

/// What a backend cannot do.
public enum BackendError: DiagnosedError, Equatable {
  case imageTooSmall(height: Int, width: Int, architecture: String)
  /// A device that was asked for by name is not in this build or on this machine.
  case unknownDevice(String, known: [String])
  /// A backend keeps every activation.
  case memoryEfficientUnavailable(device: String)
  /// A backend computes in fp32 only.
  case precisionUnavailable(Precision, device: String)
  /// A library that the backend computes with is not there.
  case library(PlatformError)
  /// The loss, a gradient or a weight is not a finite number; nothing was updated.
  case notFinite(what: String)
  /// Of a device other than the processor.
  case device(DeviceFault)
  /// Between processes that work together.
  case ranks(RankFault)

  /// Which of `known` devices `name` was probably meant to name: also by what others call them.
  private static func device(meantBy name: String, _ known: [String]) -> String? {
    let word = name.prefix { $0 != ":" }.lowercased()
    let others = ["gpu": "cuda", "nvidia": "cuda", "hpu": "gaudi", "habana": "gaudi", "intel": "gaudi"]
    return others[word].flatMap { known.contains($0) ? $0 : nil } ?? nearestName(to: word, among: known)
  }

  public var diagnosis: Diagnosis {
    switch self {
    case .imageTooSmall(let height, let width, let architecture):
      Diagnosis(
        id: "image.too-small", exit: .usage,
        message:
          "an image of \(width)×\(height) pixels is too small for \(architecture): nothing is left of it in the last block",
        hint: "use a larger --image-size (DenseNet-121 needs at least 29; 224 is usual)")
    case .unknownDevice(let name, let known):
      Diagnosis(
        id: "device.unavailable", exit: .unavailable,
        message:
          "device “\(name.printable)” is not available in this build; available: \(known.joined(separator: ", "))",
        hint: "use --device \(Self.device(meantBy: name, known) ?? known.first ?? "reference")")
    case .memoryEfficientUnavailable(let name):
      Diagnosis(
        id: "device.memory-efficient", exit: .unavailable,
        message: "device “\(name.printable)” keeps every activation: it has no memory-efficient training",
        hint: "use --device cpu, or a smaller --batch-size with --gradient-accumulation")
    case .precisionUnavailable(let precision, let name):
      Diagnosis(
        id: "device.precision", exit: .unavailable,
        message: "device “\(name.printable)” computes in fp32, not in \(precision.rawValue)",
        hint: "use --device cpu, or --precision fp32")
    case .library(let error): error.diagnosis
    case .device(let fault): fault.diagnosis
    case .ranks(let fault): fault.diagnosis
    case .notFinite(let what):
      Diagnosis(
        id: "training.diverged", exit: .diverged, message: "\(what) is not a finite number; the step was not applied",
        hint: "lower --learning-rate, or set --clip-norm 1")
    }
  }
}
