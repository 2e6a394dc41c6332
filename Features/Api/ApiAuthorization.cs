using Discobot.Features.Certificates;

namespace Discobot.Features.Api;

/// <summary>Asks for the bearer token where <c>api.protect</c> says so.</summary>
internal sealed class ApiAuthorization(RequestDelegate next, ApiToken token, ApiOptions options)
{
    public Task InvokeAsync(HttpContext context)
    {
        if (!IsProtected(context.Request) || token.IsCarriedBy(context.Request.Headers.Authorization))
            return next(context);
        context.Response.Headers.WWWAuthenticate = "Bearer realm=\"discobot\"";
        return ApiErrors.WriteAsync(context, StatusCodes.Status401Unauthorized,
            $"this needs the header \"Authorization: Bearer TOKEN\"; the token is in {options.TokenFile}");
    }

    private bool IsProtected(HttpRequest request) => options.Protect switch
    {
        ApiProtection.None => false,
        // Whoever checks a certificate, or is about to trust the CA, has no token.
        ApiProtection.All => !request.Path.StartsWithSegments("/health") && !request.Path.StartsWithSegments(RevocationList.Path)
            && !request.Path.StartsWithSegments(AuthorityEndpoint.Path),
        _ => request.Path.StartsWithSegments("/api/config") && !HttpMethods.IsGet(request.Method) && !HttpMethods.IsHead(request.Method),
    };
}
