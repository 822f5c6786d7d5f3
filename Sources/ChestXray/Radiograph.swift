/// A decoded image: 8-bit pixels, rows from the top, channels interleaved, no gaps.
///
/// One channel is gray, three are red, green and blue. The values are those of Pillow's `convert('RGB')`, except that
/// gray stays one channel and, of 16 bits, the upper 8: alpha and gamma are ignored.
public struct Radiograph: Equatable, Sendable {
  /// Pixels.
  public let width: Int
  /// Pixels.
  public let height: Int
  /// 1 or 3.
  public let channels: Int
  /// `height · width · channels` values.
  public let pixels: [UInt8]

  public init(width: Int, height: Int, channels: Int, pixels: [UInt8]) {
    precondition(width > 0 && height > 0 && (channels == 1 || channels == 3), "not a radiograph")
    precondition(pixels.count == width * height * channels, "\(pixels.count) values for \(width) × \(height)")
    self.width = width
    self.height = height
    self.channels = channels
    self.pixels = pixels
  }

  /// The largest side that is decoded, in pixels. It also bounds the rounding of `Resampling`.
  public static let largestSide = 16384
  /// The most pixels that are decoded.
  public static let mostPixels = 128 << 20
  /// Whether an image of this size is decoded.
  static func isWithinLimits(width: Int, height: Int) -> Bool {
    width <= largestSide && height <= largestSide && width * height <= mostPixels
  }
  /// The largest file that is read, in bytes: what `mostPixels` take uncompressed, and room for chunks.
  static let largestFile = 1 << 30

  /// Reads and decodes the image at `path`. Its format is told by its content, never by its name.
  ///
  /// Errors: `platform` (missing, unreadable), and every error of `decode`.
  public static func read(_ path: String) throws(ChestXrayError) -> Radiograph {
    try decode(bytes(of: path), path: path)
  }

  /// The bytes of the image file at `path`. Errors: `platform`, `fileTooLarge`.
  static func bytes(of path: String) throws(ChestXrayError) -> [UInt8] {
    try contents(of: path, atMost: largestFile)
  }

  /// Decodes `bytes`, which came from `path` (used in messages only).
  ///
  /// Errors: `empty`, `dicom` and `unknownFormat` for what is neither PNG nor JPEG, and every error of `PNGDecoder` and
  /// `JPEGDecoder`.
  public static func decode(_ bytes: [UInt8], path: String) throws(ChestXrayError) -> Radiograph {
    switch ImageFormat(of: bytes) {
    case .png: return try PNGDecoder.decode(bytes, path: path)
    case .jpeg: return try JPEGDecoder.decode(bytes, path: path)
    case .dicom: throw .image(path: path, .dicom)
    case nil: throw .image(path: path, bytes.isEmpty ? .empty : .unknownFormat(firstBytes: Array(bytes.prefix(8))))
    }
  }

  /// This image with one channel. Colours are weighed as Pillow's `convert('L')` does (ITU-R 601-2 luma in 16-bit fixed
  /// point), which leaves equal red, green and blue as they are.
  public var gray: Radiograph {
    if channels == 1 { return self }
    let count = width * height
    let luma = [UInt8](unsafeUninitializedCapacity: count) { output, initialized in
      pixels.withUnsafeBufferPointer { input in
        for index in 0..<count {
          let red = UInt32(input[3 * index]) * 19595
          let green = UInt32(input[3 * index + 1]) * 38470
          let blue = UInt32(input[3 * index + 2]) * 7471
          output[index] = UInt8((red + green + blue + 0x8000) >> 16)
        }
      }
      initialized = count
    }
    return Radiograph(width: width, height: height, channels: 1, pixels: luma)
  }
}

/// The image formats that we know at sight.
enum ImageFormat {
  case png
  case jpeg
  case dicom

  /// The format whose signature `bytes` carry; nil for all others.
  init?(of bytes: [UInt8]) {
    if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) {
      self = .png
    } else if bytes.starts(with: [0xFF, 0xD8, 0xFF]) {
      self = .jpeg
    } else if bytes.count >= 132, bytes[128..<132].elementsEqual("DICM".utf8) {
      // DICOM PS3.10, 7.1: a preamble of 128 bytes, then the prefix.
      self = .dicom
    } else {
      return nil
    }
  }
}
