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

/// What a file is that is not a weight file we read.
public enum FormatFault: Equatable, Sendable {
  case empty
  case unknown(firstBytes: [UInt8])
  case torchLegacyStream
  case torchLegacyTar
  case torchScript
  case keras3Weights
  case keras3Archive
  case zipWithoutWeights
  case dicom
  case png
  case html
  case gitLFSPointer

  var diagnosis: Diagnosis {
    switch self {
    case .empty: refused("empty", "the file is empty", "copy or download it again")
    case .unknown(let bytes):
      refused(
        "unknown",
        "not a weight file that is known here; it begins with the bytes "
          + bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " "),
        "safetensors, PyTorch zip archives (.pt, .pth) and Keras HDF5 (.h5) are read")
    case .torchLegacyStream:
      refused(
        "torch-legacy", "a PyTorch file in the stream format of before 1.6, which is not read yet",
        "re-save it with a recent PyTorch: torch.save(torch.load(path, weights_only=True), new)")
    case .torchLegacyTar:
      refused(
        "torch-tar", "a tar archive, as PyTorch before 0.2 wrote; it is not read",
        "re-save it with a PyTorch that still loads it, or download newer weights")
    case .torchScript:
      refused(
        "torchscript", "a TorchScript archive: a program with its weights, which is not run here",
        "save the weights alone: torch.save(torch.jit.load(path).state_dict(), new)")
    case .keras3Weights:
      refused(
        "keras3-weights", "a Keras 3 .weights.h5 file, which is not read yet",
        "load it in Keras and save the whole model as legacy HDF5: model.save(\"new.h5\")")
    case .keras3Archive:
      refused(
        "keras3-archive", "a Keras 3 .keras archive, which is not read yet",
        "convert it in Keras: keras.saving.load_model(path, compile=False).save(\"new.h5\")")
    case .zipWithoutWeights:
      refused("zip", "a zip archive without a data.pkl: not a PyTorch file", "unpack it and give the weight file in it")
    case .dicom: refused("dicom", "a DICOM image, not a weight file", "images are given to predict, heatmap and --data")
    case .png: refused("png", "a PNG image, not a weight file", "images are given to predict, heatmap and --data")
    case .html:
      refused(
        "html", "a web page, not a weight file: the download went to a page about the file",
        "download it again from the address of the file itself")
    case .gitLFSPointer:
      refused(
        "git-lfs", "a Git LFS pointer: the text that stands for the file in a clone without its large files",
        "fetch the file itself: git lfs pull")
    }
  }

  private func refused(_ id: String, _ message: String, _ hint: String) -> Diagnosis {
    Diagnosis(id: "weights.\(id)", exit: .badData, message: message, hint: hint)
  }
}
