using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Org.BouncyCastle.Asn1;
using Org.BouncyCastle.Asn1.Pkcs;
using Org.BouncyCastle.Asn1.X509;
using Org.BouncyCastle.Crypto;

namespace Discobot.Features.Certificates;

/// <summary>
/// Signs certificates with OpenSSL's RSA (sha256WithRSAEncryption, RFC 8017): several times as fast as BouncyCastle's own in managed
/// code, and the signature is what minting a leaf costs.
/// </summary>
internal sealed class RsaSigner(RSA key) : ISignatureFactory
{
    private static readonly AlgorithmIdentifier Sha256WithRsa = new(PkcsObjectIdentifiers.Sha256WithRsaEncryption, DerNull.Instance);

    public object AlgorithmDetails => Sha256WithRsa;

    public IStreamCalculator<IBlockResult> CreateCalculator() => new Calculator(key);

    [SuppressMessage("Design", "CA1001", Justification = "A MemoryStream holds nothing to give back.")]
    private sealed class Calculator(RSA key) : IStreamCalculator<IBlockResult>
    {
        private readonly MemoryStream _message = new(1024);

        public Stream Stream => _message;

        public IBlockResult GetResult()
        {
            _message.TryGetBuffer(out var message); // the stream is closed by now, its buffer is still there
            return new SimpleBlockResult(key.SignData(message, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1));
        }
    }
}
