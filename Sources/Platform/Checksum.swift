import CCrypto

/// Of OpenSSL's libcrypto: `OpenSSL 3.0.17 1 Jul 2025`.
public func cryptoLibraryVersion() -> String { OpenSSL_version(0).map { String(cString: $0) } ?? "unknown" }

/// SHA-256 (FIPS 180-4), by OpenSSL's libcrypto, fed piece by piece.
public struct SHA256: ~Copyable {
  private let context: OpaquePointer

  public init() {
    guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1 else {
      preconditionFailure("libcrypto has no SHA-256")
    }
    self.context = context
  }

  deinit { EVP_MD_CTX_free(context) }

  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    let accepted = EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
    precondition(accepted == 1, "libcrypto refused bytes")
  }

  /// 64 lower-case hexadecimal digits.
  public consuming func finish() -> String {
    var digest = [UInt8](repeating: 0, count: 32)
    let finished = EVP_DigestFinal_ex(context, &digest, nil)
    precondition(finished == 1, "libcrypto did not finish")
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  /// The digest of `bytes`, in hexadecimal.
  public static func hex(of bytes: [UInt8]) -> String {
    var hash = SHA256()
    bytes.withUnsafeBytes { hash.update($0) }
    return hash.finish()
  }

  /// The digest of the file at `path`, in hexadecimal, read in pieces of 1 MiB.
  public static func hex(ofFile path: String) throws(PlatformError) -> String {
    let reader = try FileReader(path: path)
    var hash = SHA256()
    var offset = 0
    while offset < reader.size {
      let bytes = try reader.read(at: offset, count: min(1 << 20, reader.size - offset))
      bytes.withUnsafeBytes { hash.update($0) }
      offset += bytes.count
    }
    return hash.finish()
  }
}
