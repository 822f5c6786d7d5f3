import Platform

/// Why a weight file was not read: which file, and the one thing that is wrong with it.
public struct WeightFormatError: DiagnosedError, Equatable {
  public let path: String
  public let fault: WeightFault

  public init(path: String, fault: WeightFault) {
    self.path = path
    self.fault = fault
  }

  public var diagnosis: Diagnosis {
    if case .platform(let error) = fault { return error.diagnosis }
    var diagnosis = fault.diagnosis
    diagnosis.message = "\(path.printable): \(diagnosis.message)"
    diagnosis.file = path
    return diagnosis
  }
}

/// One case for each way in which a weight file can lie, by the format that it lies in.
public enum WeightFault: Error, Equatable {
  case platform(PlatformError)
  case format(FormatFault)
  case safetensors(SafetensorsFault)
  case zip(ZipFault)
  case pickle(PickleFault)
  case torch(TorchFault)
  case keras(KerasFault)
  /// Two tensors have the same full name.
  case duplicateTensor(String)
  /// The tensors that were asked for need more memory than any DenseNet.
  case tooLarge(bytes: Int, limit: Int)

  /// The diagnosis without the file's name.
  var diagnosis: Diagnosis {
    switch self {
    case .platform(let error): error.diagnosis
    case .format(let fault): fault.diagnosis
    case .safetensors(let fault): fault.diagnosis
    case .zip(let fault): fault.diagnosis
    case .pickle(let fault): fault.diagnosis
    case .torch(let fault): fault.diagnosis
    case .keras(let fault): fault.diagnosis
    case .duplicateTensor(let name):
      Diagnosis(id: "weights.duplicate-tensor", exit: .badData, message: "two tensors are named \(name.printable)")
    case .tooLarge(let bytes, let limit):
      Diagnosis(
        id: "weights.too-large", exit: .unsafeFile,
        message: "the tensors need \(bytes) bytes; at most \(limit) are read from one file")
    }
  }
}
