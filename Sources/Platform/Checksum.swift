import CCrypto

/// Of OpenSSL's libcrypto: `OpenSSL 3.0.17 1 Jul 2025`.
public func cryptoLibraryVersion() -> String { OpenSSL_version(0).map { String(cString: $0) } ?? "unknown" }

/// A message digest by OpenSSL's libcrypto, fed piece by piece.
public struct MessageDigest: ~Copyable {
  public enum Algorithm: Sendable {
    /// FIPS 180-4.
    case sha256
    /// RFC 1321: no protection against forgers; some publishers name their files by it.
    case md5
  }

  private let context: OpaquePointer

  /// A program may end while other threads, which read ahead, make digests: libcrypto must not be taken down under them by `exit`.
  private static let staysUntilTheEnd: Void = {
    let initialized = OPENSSL_init_crypto(UInt64(OPENSSL_INIT_NO_ATEXIT), nil)
    precondition(initialized == 1, "libcrypto cannot be initialized")
  }()

  public init(_ algorithm: Algorithm) {
    Self.staysUntilTheEnd
    let method =
      switch algorithm {
      case .sha256: EVP_sha256()
      case .md5: EVP_md5()
      }
    guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex(context, method, nil) == 1 else {
      preconditionFailure("libcrypto has no \(algorithm)")
    }
    self.context = context
  }

  deinit { EVP_MD_CTX_free(context) }

  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    let accepted = EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
    precondition(accepted == 1, "libcrypto refused bytes")
  }

  /// Lower-case hexadecimal digits: 64 of SHA-256, 32 of MD5.
  public consuming func finish() -> String {
    var digest = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
    var count: UInt32 = 0
    let finished = EVP_DigestFinal_ex(context, &digest, &count)
    precondition(finished == 1, "libcrypto did not finish")
    let digits = Array("0123456789abcdef".utf8)
    let hex = digest.prefix(Int(count)).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    return String(decoding: hex, as: UTF8.self)
  }

  /// The digest of the file at `path`, read in pieces of 256 KiB; of what was read until `isCancelled`, where that is asked.
  public static func hex(
    _ algorithm: Algorithm, ofFile path: String, isCancelled: () -> Bool = { false }
  ) throws(PlatformError) -> String {
    let reader = try FileReader(path: path)
    var digest = MessageDigest(algorithm)
    var offset = 0
    while offset < reader.size, !isCancelled() {
      let bytes = try reader.read(at: offset, count: min(256 << 10, reader.size - offset))
      bytes.withUnsafeBytes { digest.update($0) }
      offset += bytes.count
    }
    return digest.finish()
  }
}

/// SHA-256, in hexadecimal.
public enum SHA256 {
  public static func hex(of bytes: [UInt8]) -> String {
    var digest = MessageDigest(.sha256)
    bytes.withUnsafeBytes { digest.update($0) }
    return digest.finish()
  }

  /// Of the file at `path`.
  public static func hex(ofFile path: String) throws(PlatformError) -> String {
    try MessageDigest.hex(.sha256, ofFile: path)
  }
}
