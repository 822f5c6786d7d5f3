import Platform

/// The kinds of files that people give by mistake, by their first bytes.
enum ForeignFile {
  /// What a file that begins with `head` (its first 512 bytes, or all it has) is; nil where it may be a weight file.
  static func recognize(_ head: [UInt8]) -> FormatFault? {
    for (signature, fault) in signatures where head.starts(with: signature) { return fault }
    if head.count >= 132, head[128..<132].elementsEqual("DICM".utf8) { return .dicom }
    if head.count >= 262, head[257..<262].elementsEqual("ustar".utf8) { return .torchLegacyTar }
    if head.starts(with: "version https://git-lfs".utf8) { return .gitLFSPointer }
    if isONNX(head) { return .onnx }
    if isText(head) { return text(head) }
    return nil
  }

  private static let signatures: [([UInt8], FormatFault)] = [
    ([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A], .png), ([0xFF, 0xD8, 0xFF], .jpeg),
    ([0x1F, 0x8B], .compressed("gzip", unpack: "gunzip")), (Array("BZh".utf8), .compressed("bzip2", unpack: "bunzip2")),
    ([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0], .compressed("xz", unpack: "unxz")),
    ([0x28, 0xB5, 0x2F, 0xFD], .compressed("zstd", unpack: "unzstd")),
    ([0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C], .compressed("7z", unpack: "7z x")),
    (Array("Rar!".utf8), .compressed("rar", unpack: "unrar x")), ([0x93] + Array("NUMPY".utf8), .numpy),
    (Array("GGUF".utf8), .gguf),
  ]

  /// An ONNX model is a protocol buffer: field 1, a small version; then the producer's name (field 2), its version (3) or the
  /// graph (7).
  private static func isONNX(_ head: [UInt8]) -> Bool {
    guard head.count >= 4, head[0] == 0x08, (1...30).contains(head[1]) else { return false }
    return head[2] == 0x12 || head[2] == 0x1A || head[2] == 0x3A
  }

  private static func isText(_ head: [UInt8]) -> Bool {
    guard head.count > 8, head.allSatisfy({ $0 >= 0x20 || $0 == 0x09 || $0 == 0x0A || $0 == 0x0D }) else {
      return false
    }
    // The last character may be cut.
    return (0..<4).contains { String(validating: head.dropLast($0), as: UTF8.self) != nil }
  }

  private static func text(_ head: [UInt8]) -> FormatFault? {
    let start = String(decoding: head.drop { [0x20, 0x09, 0x0A, 0x0D].contains($0) }.prefix(64), as: UTF8.self)
    let lower = start.lowercased()
    if start.hasPrefix("{"), String(decoding: head, as: UTF8.self).contains("\"weight_map\"") { return .shardIndex }
    if lower.hasPrefix("<!doctype html") || lower.hasPrefix("<html") { return .html }
    return .text(beginning: String(start.prefix(40)))
  }
}

/// What a file is that is not a weight file we read.
public enum FormatFault: Equatable, Sendable {
  case empty
  case unknown(firstBytes: [UInt8])
  case torchLegacyTar
  case torchScript
  /// Keras' and Hugging Face's lists of which weight is in which file.
  case shardIndex
  case zipWithoutWeights
  case dicom
  case png
  case jpeg
  case html
  case text(beginning: String)
  case gitLFSPointer
  case onnx
  case numpy
  case gguf
  case compressed(String, unpack: String)

  var diagnosis: Diagnosis {
    switch self {
    case .empty: refused("empty", "the file is empty", "copy or download it again")
    case .unknown(let bytes):
      refused(
        "unknown",
        "not a weight file that is known here; it begins with the bytes "
          + bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " "),
        "PyTorch files (.pt, .pth, .pth.tar), Keras files (.h5, .weights.h5, .keras) and safetensors are read")
    case .torchLegacyTar:
      refused(
        "torch-tar", "a tar archive: as PyTorch before 0.2 wrote, which is not read, or weights that were packed",
        "unpack it (tar xf) and give the weight file in it; or re-save it with a PyTorch that still loads it")
    case .torchScript:
      refused(
        "torchscript", "a TorchScript archive: a program with its weights, which is not run here",
        "save the weights alone: torch.save(torch.jit.load(path).state_dict(), new)")
    case .shardIndex:
      refused(
        "shard-index", "the list of a network's several weight files, which are not put together here",
        "save the network in one file: model.save_weights(\"new.weights.h5\") without max_shard_size")
    case .zipWithoutWeights:
      refused(
        "zip", "a zip archive with neither PyTorch's data.pkl nor Keras' model.weights.h5",
        "unpack it and give the weight file in it")
    case .dicom: image("dicom", "DICOM")
    case .png: image("png", "PNG")
    case .jpeg: image("jpeg", "JPEG")
    case .html:
      refused(
        "html", "a web page, not a weight file: the download went to a page about the file",
        "download it again from the address of the file itself")
    case .text(let beginning):
      refused(
        "text", "a text, not a weight file; it begins with \"\(beginning.printable)\"",
        "if it is an error message of the server, download the file again")
    case .gitLFSPointer:
      refused(
        "git-lfs", "a Git LFS pointer: the text that stands for the file in a clone without its large files",
        "fetch the file itself: git lfs pull")
    case .onnx:
      refused(
        "onnx", "an ONNX model: a graph whose tensors no longer have the network's names; it is not read",
        "give the weights that it was exported from (.pt, .h5, .safetensors)")
    case .numpy:
      refused("numpy", "a NumPy array, not a weight file", "save the arrays by name with safetensors.numpy.save_file")
    case .gguf: refused("gguf", "a GGUF file, which holds language models", "give a .pt, .h5 or .safetensors file")
    case .compressed(let name, let unpack):
      refused("compressed", "a file packed by \(name)", "unpack it (\(unpack)) and give the weight file in it")
    }
  }

  private func image(_ id: String, _ name: String) -> Diagnosis {
    refused(id, "a \(name) image, not a weight file", "images are given to predict, heatmap and --data")
  }

  private func refused(_ id: String, _ message: String, _ hint: String) -> Diagnosis {
    Diagnosis(id: "weights.\(id)", exit: .badData, message: message, hint: hint)
  }
}
