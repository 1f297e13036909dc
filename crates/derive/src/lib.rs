//! `#[derive(Module)]`: a struct's parameters and buffers by path, each field's path its name.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Data, DeriveInput, Error, Fields, Index, LitStr, Result, WherePredicate, parse_macro_input, parse_quote};

/// Implements `gradus::Module` for a struct: every field is visited under its name (a tuple struct's under its
/// number). Fields must be modules themselves: parameters, buffers, layers, lists of those, or plain data.
///
/// - `#[module(skip)]` on a field leaves it out; for types that are no module.
/// - `#[module(flatten)]` on a field adds no name to the path.
/// - `#[module(name = "other")]` on a field gives its path another name.
///
/// The struct is generic over its element type by a parameter bounded by `Float`. Without one it is a module of `f32`, or
/// of `f64` when it says `#[module(f64)]` itself; or of every element type, when it holds nothing but numbers, booleans
/// and strings.
#[proc_macro_derive(Module, attributes(module))]
pub fn derive_module(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(input).unwrap_or_else(Error::into_compile_error).into()
}

/// How one field is visited.
enum Visit {
    Skipped,
    Flat,
    Named(String),
}

fn expand(input: DeriveInput) -> Result<TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(&input.ident, "Module can be derived for structs only"));
    };
    let float = match says_f64(&input)? {
        true => Some(format_ident!("f64")),
        false => float_parameter(&input),
    };
    let mut generics = input.generics.clone();
    let float_type = match &float {
        Some(ident) => quote!(#ident),
        None if is_plain(&data.fields)? => {
            generics.params.push(parse_quote!(AnyFloat: ::gradus::tensor::Float));
            quote!(AnyFloat)
        }
        None => quote!(f32),
    };
    let (mut shared, mut mutable) = (Vec::new(), Vec::new());
    for (field, member, name) in members(&data.fields) {
        let ty = &field.ty;
        let bound: WherePredicate = parse_quote!(#ty: ::gradus::Module<#float_type>);
        match visit_of(field, name)? {
            Visit::Skipped => continue,
            Visit::Flat => {
                shared.push(quote!(::gradus::Module::<#float_type>::visit(&self.#member, path, visitor);));
                mutable.push(quote!(::gradus::Module::<#float_type>::visit_mut(&mut self.#member, path, f);));
            }
            Visit::Named(name) => {
                shared.push(quote!(path.at(#name, |path| ::gradus::Module::<#float_type>::visit(&self.#member, path, visitor));));
                mutable
                    .push(quote!(path.at(#name, |path| ::gradus::Module::<#float_type>::visit_mut(&mut self.#member, path, f));));
            }
        }
        if mentions_parameter(&input, field) {
            generics.make_where_clause().predicates.push(bound);
        }
    }
    let ident = &input.ident;
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let (_, type_generics, _) = input.generics.split_for_impl();
    Ok(quote! {
        impl #impl_generics ::gradus::Module<#float_type> for #ident #type_generics #where_clause {
            fn visit<'visit>(
                &'visit self,
                path: &mut ::gradus::Path,
                visitor: &mut dyn ::gradus::Visitor<'visit, #float_type>,
            ) {
                let _ = (&path, &visitor);
                #(#shared)*
            }
            fn visit_mut(
                &mut self,
                path: &mut ::gradus::Path,
                f: &mut dyn FnMut(&::gradus::Path, &mut ::gradus::Param<#float_type>),
            ) {
                let _ = (&path, &f);
                #(#mutable)*
            }
        }
    })
}

/// Whether the struct itself has the attribute `#[module(f64)]`.
fn says_f64(input: &DeriveInput) -> Result<bool> {
    let mut found = false;
    for attribute in input.attrs.iter().filter(|a| a.path().is_ident("module")) {
        attribute.parse_nested_meta(|meta| {
            found = meta.path.is_ident("f64");
            if found { Ok(()) } else { Err(meta.error("wanted `f64`; the other attributes belong on fields")) }
        })?;
    }
    Ok(found)
}

/// The type parameter bounded by `Float`, where it stands or in the `where` clause, if there is one.
fn float_parameter(input: &DeriveInput) -> Option<syn::Ident> {
    let is_float = |bounds: &dyn quote::ToTokens| {
        let text = quote!(#bounds).to_string();
        text.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == "Float")
    };
    let in_where = |ident: &syn::Ident| {
        let predicates = input.generics.where_clause.iter().flat_map(|w| &w.predicates);
        predicates.into_iter().any(|predicate| match predicate {
            WherePredicate::Type(p) => {
                let ty = &p.bounded_ty;
                *ident == quote!(#ty).to_string() && is_float(&p.bounds)
            }
            _ => false,
        })
    };
    input.generics.type_params().find(|p| is_float(&p.bounds) || in_where(&p.ident)).map(|p| p.ident.clone())
}

/// Whether every field that is visited is a number, a boolean or a string.
fn is_plain(fields: &Fields) -> Result<bool> {
    const PLAIN: [&str; 11] = ["bool", "u8", "u32", "u64", "usize", "i32", "i64", "isize", "f32", "f64", "String"];
    for (field, _, name) in members(fields) {
        let ty = &field.ty;
        if !matches!(visit_of(field, name)?, Visit::Skipped) && !PLAIN.contains(&quote!(#ty).to_string().as_str()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a field's type is generic, so that the impl must demand that it is a module.
fn mentions_parameter(input: &DeriveInput, field: &syn::Field) -> bool {
    let ty = &field.ty;
    let text = quote!(#ty).to_string();
    let words: Vec<&str> = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    input.generics.type_params().any(|p| words.contains(&p.ident.to_string().as_str()))
}

fn members(fields: &Fields) -> Vec<(&syn::Field, TokenStream, String)> {
    fields
        .iter()
        .enumerate()
        .map(|(i, field)| match &field.ident {
            Some(ident) => (field, quote!(#ident), ident.to_string().trim_start_matches("r#").to_string()),
            None => {
                let index = Index::from(i);
                (field, quote!(#index), i.to_string())
            }
        })
        .collect()
}

fn visit_of(field: &syn::Field, name: String) -> Result<Visit> {
    let mut visit = Visit::Named(name);
    for attribute in field.attrs.iter().filter(|a| a.path().is_ident("module")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("skip") {
                visit = Visit::Skipped;
            } else if meta.path.is_ident("flatten") {
                visit = Visit::Flat;
            } else if meta.path.is_ident("name") {
                visit = Visit::Named(meta.value()?.parse::<LitStr>()?.value());
            } else {
                return Err(meta.error("wanted `skip`, `flatten` or `name = \"…\"`"));
            }
            Ok(())
        })?;
    }
    Ok(visit)
}
